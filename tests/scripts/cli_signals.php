<?php
pcntl_async_signals(true);
$got = [];
foreach ([SIGUSR1, SIGUSR2, SIGALRM] as $signal) {
    pcntl_signal($signal, function (int $number) use (&$got) { $got[] = $number; });
}
foreach ([SIGUSR1, SIGUSR2, SIGALRM] as $signal) {
    posix_kill(posix_getpid(), $signal);
}
echo json_encode($got === [SIGUSR1, SIGUSR2, SIGALRM]), "\n";
