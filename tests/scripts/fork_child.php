<?php
// What works in a child of pcntl_fork(). Each child tells by its status; signals are given as 1000 + number.
$run = function (callable $child): int {
    $pid = pcntl_fork();
    if ($pid === 0) {
        ini_set('log_errors', '0');
        exit($child());
    }
    pcntl_waitpid($pid, $status);
    return pcntl_wifsignaled($status) ? 1000 + pcntl_wtermsig($status) : pcntl_wexitstatus($status);
};
$spin = function (): int {
    set_time_limit(1);
    while (true) {
    }
};
$broken_pipe = function (): int {
    [$end, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    fclose($other);
    return @fwrite($end, 'x') === false ? 5 : 6;
};
$caught = function (): int {
    pcntl_async_signals(true);
    pcntl_signal(SIGUSR1, fn () => exit(9));
    posix_kill(getmypid(), SIGUSR1);
    for ($i = 0; $i < 1000; $i++) {
        usleep(1000);
    }
    return 1;
};
$late = $_GET['late'];
$seen = [
    'time limit' => $run($spin),
    'broken pipe' => $run($broken_pipe),
    'signal handler' => $run($caught),
    'other program' => $run(fn () => (int) pcntl_exec('/bin/sh', ['-c', 'exit 7'])),
    'shutdown function' => $run(function (): int {
        register_shutdown_function(fn () => exit(8));
        return 0;
    }),
];
// A child that is born after the script must not come back as a second server.
register_shutdown_function(function () use ($late): void {
    if (pcntl_fork() === 0) {
        file_put_contents($late, (string) getmypid());
    }
});
header('Content-Type: application/json');
echo json_encode($seen);
