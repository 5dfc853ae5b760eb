<?php
// Ends by itself after three requests, as a script does that fears its own leaks.
for ($left = 3; $left > 0; $left--) {
    $running = frankenphp_handle_request(static function (): void {
        if (isset($_GET['throw'])) {
            throw new Exception('thrown on purpose');
        }
        echo 'limited ', $_GET['i'] ?? '';
    });
    if (!$running) {
        break;
    }
}
