<?php
// Notes in the log how its connection looks after it tried to write for a while.
ignore_user_abort(true);
if (isset($_GET['finish'])) {
    fastcgi_finish_request();
}
file_put_contents($_GET['trace'], 'started');
for ($tries = 0; !file_exists($_GET['trace'] . '.gone') && $tries < 1000; $tries++) {
    usleep(10_000);
}
for ($tries = 0; $tries < 100 && connection_status() === CONNECTION_NORMAL; $tries++) {
    echo 'still here';
    flush();
    if (isset($_GET['finish'])) {
        break;
    }
    usleep(10_000);
}
error_log('connection status ' . connection_status() . ' aborted ' . connection_aborted());
