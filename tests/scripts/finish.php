<?php
// The response ends here; the script goes on.
ignore_user_abort(isset($_GET['ignore']));
echo 'before finish ', $_GET['i'] ?? '';
$first = fastcgi_finish_request();
$second = frankenphp_finish_request();
echo 'after finish';
flush();
if (isset($_GET['gate'])) {
    for ($tries = 0; !file_exists($_GET['gate']) && $tries < 1000; $tries++) {
        usleep(10_000);
    }
}
if (isset($_GET['body'])) {
    $length = strlen(file_get_contents('php://input'));
}
error_log(sprintf(
    'finish %s first=%d second=%d status=%d length=%d',
    $_GET['i'] ?? '', $first, $second, connection_status(), $length ?? -1
));
