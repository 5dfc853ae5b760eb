<?php
// Forks while it boots, in its requests and between them; no child may serve or answer anything.
$child = static function (string $name): void {
    $pid = pcntl_fork();
    if ($pid === 0) {
        echo "the child must not answer";
        file_put_contents(getenv('TRACE') . "/$name", (string) getmypid());
        exit(7);
    }
    pcntl_waitpid($pid, $status);
    $GLOBALS['statuses'][$name] = pcntl_wexitstatus($status);
};
$child('boot');
$number = 0;
do {
    $running = frankenphp_handle_request(static function () use ($child, &$number): void {
        $number++;
        $child("request$number");
        // This one asks for the next request as if it were the server.
        $pid = pcntl_fork();
        if ($pid === 0) {
            return;
        }
        pcntl_waitpid($pid, $status);
        echo json_encode(['number' => $number, 'statuses' => $GLOBALS['statuses'], 'returned' => pcntl_wifexited($status)]);
    });
    if ($running && $number === 1) {
        $child('between');
    }
} while ($running);
