<?php
echo "\n", implode("\n", array_map('strtolower', get_loaded_extensions())), "\n";
