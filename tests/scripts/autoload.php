<?php
// A registered autoloader works and is gone in the next request.
echo 'before: ', count(spl_autoload_functions()), ', ';
spl_autoload_register(fn (string $class) => require __DIR__ . '/lib/' . strtolower($class) . '.php');
echo 'after: ', count(spl_autoload_functions()), ', loaded: ', Counted::class, ' ', (new Counted())::$number, ' ', $_GET['i'];
