<?php
// Loads variables as Dotenv does.
putenv('FROM_BOOT=boot');
putenv('CUSTOM_OS_ENV_VARIABLE=of boot');
$_ENV['FROM_BOOT'] = $_SERVER['FROM_BOOT'] = 'boot';
