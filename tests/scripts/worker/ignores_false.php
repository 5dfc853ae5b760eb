<?php
// Never leaves its loop, whatever it is told.
$falses = 0;
while (true) {
    if (!frankenphp_handle_request(static function (): void { echo 'answer'; })) {
        file_put_contents(getenv('TRACE'), ++$falses);
    }
}
