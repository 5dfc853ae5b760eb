<?php
// What a script must not do to the process that it shares.
header('Content-Type: application/json');
$answer = [];
$warnings = [];
set_error_handler(function (int $level, string $message) use (&$warnings): bool {
    $warnings[] = $message;
    return true;
});
$calls = [
    'pcntl_signal' => fn () => pcntl_signal(SIGTERM, fn () => null),
    'pcntl_alarm' => fn () => pcntl_alarm(1),
    'pcntl_sigprocmask' => fn () => pcntl_sigprocmask(SIG_BLOCK, [SIGTERM]),
    'pcntl_sigwaitinfo' => fn () => pcntl_sigwaitinfo([SIGUSR1]),
    'pcntl_exec' => fn () => pcntl_exec('/bin/true'),
];
foreach ($calls as $name => $call) {
    $warnings = [];
    $answer[$name] = ['result' => $call(), 'warnings' => $warnings];
}
echo json_encode($answer);
