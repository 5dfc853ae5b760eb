<?php
// Prints every 100 ms until its client leaves; a file shows when it ended.
ignore_user_abort(isset($_GET['ignore']));
$trace = $_GET['trace'];
register_shutdown_function(function () use ($trace) {
    file_put_contents($trace . '.end', sprintf('%.4f %d', microtime(true), connection_status()));
});
$piece = str_repeat('x', (int) ($_GET['size'] ?? 8));
for ($i = 0; $i < (int) ($_GET['ticks'] ?? 100); $i++) {
    echo $piece;
    if (!isset($_GET['noflush'])) {
        flush();
    }
    file_put_contents($trace, (string) $i);
    usleep(100_000);
}
file_put_contents($trace . '.full', 'all ticks');
