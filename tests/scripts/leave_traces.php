<?php
// Changes all kinds of state, then ends in the way that is asked for.
session_id('leaverssession' . $_GET['i']);
session_start();
$_SESSION['secret'] = 'of ' . $_GET['i'];
$_ENV['HOWDAH_TEST_TRACE'] = 'env';
$_SERVER['HOWDAH_TEST_TRACE'] = 'server';
putenv('HOWDAH_TEST_TRACE=put');
ini_set('precision', '3');
ini_set('memory_limit', '48M');
setlocale(LC_ALL, 'C.UTF-8');
umask(0077);
chdir('/');
date_default_timezone_set('Asia/Tokyo');
mb_internal_encoding('EUC-JP');
set_error_handler(fn () => true);
set_exception_handler(fn () => print ' handled ');
libxml_use_internal_errors(true);
error_reporting(0);
mt_srand(42);
ignore_user_abort(true);
class Trace { public static int $count = 0; }
Trace::$count++;
define('HOWDAH_TEST_TRACE', 1);
function howdah_test_trace() {}
$file = tmpfile();
$memory = new PDO('sqlite::memory:');
$memory->beginTransaction();
stream_wrapper_unregister('http');
spl_autoload_register(fn () => null);
header('X-Trace: left');
http_response_code(299);
ob_start(fn ($text) => 'buffered:' . $text);
switch ($_GET['how']) {
    case 'exit':
        exit('exit');
    case 'exception':
        restore_exception_handler();
        throw new Exception('uncaught');
    case 'fatal':
        undefined_function();
    case 'memory':
        str_repeat('x', 256 * 1024 * 1024);
    case 'timeout':
        set_time_limit(1);
        while (true);
    case 'abort':
        ignore_user_abort(false);
        for ($n = 0; $n < 200; $n++) {
            echo str_repeat('x', 1024);
            ob_flush();
            flush();
            usleep(20_000);
        }
}
echo 'normal end';
