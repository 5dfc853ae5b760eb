<?php
// Goes on after its response in every way that could touch it.
echo 'before ', $_GET['i'];
frankenphp_finish_request();
echo 'late';
@header('X-Late: yes');
@http_response_code(500);
ob_start();
echo 'later';
ob_end_flush();
flush();
register_shutdown_function(static fn () => print 'latest');
match ($_GET['how'] ?? '') {
    'exit' => exit('with exit'),
    'exception' => throw new Exception('after finish'),
    'fatal' => trigger_error('after finish', E_USER_ERROR),
    default => null,
};
