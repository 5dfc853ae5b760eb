<?php
// The worker's function in a script that is no worker.
try {
    frankenphp_handle_request(fn () => null);
    echo 'no exception';
} catch (RuntimeException $error) {
    echo 'RuntimeException: ', $error->getMessage();
}
