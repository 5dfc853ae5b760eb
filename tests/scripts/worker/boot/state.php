<?php
// A script that makes itself at home before its first request, as a framework does.
$_ENV['HOWDAH_TEST_STATE'] = 'of boot';
putenv('HOWDAH_TEST_STATE=of boot');
putenv('CUSTOM_OS_ENV_VARIABLE=of boot');
ini_set('precision', '11');
ini_set('memory_limit', '222M');
ini_set('session.name', 'BOOTED');
ini_set('session.gc_maxlifetime', '222');
set_include_path('/of/boot');
error_reporting(E_ALL & ~E_DEPRECATED);
date_default_timezone_set('Europe/Paris');
setlocale(LC_CTYPE, 'C.UTF-8');
umask(0027);
chdir('/usr');
function booted_error_handler(): bool { return false; }
function booted_exception_handler(Throwable $error): void { echo 'handled: ', $error->getMessage(); }
set_error_handler('booted_error_handler');
set_exception_handler('booted_exception_handler');
ignore_user_abort(true);
