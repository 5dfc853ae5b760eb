<?php
// Registers what is to run when the script ends, not when a request does.
$trace = getenv('TRACE');
register_shutdown_function(static function () use ($trace): void {
    file_put_contents($trace, 'ended;', FILE_APPEND);
});
