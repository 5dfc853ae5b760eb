<?php
// Programs started by PHP have no signal blocked and die of a broken pipe.
$seen = [];
foreach (explode("\n", shell_exec('grep ^Sig /proc/self/status')) as $line) {
    [$name, $value] = array_pad(preg_split('/:\s*/', $line, 2), 2, '');
    $seen[$name] = $value;
}
exec('bash -c \'yes 2>/dev/null | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}\'', $lines);
$seen['pipe'] = $lines[0];
$process = proc_open(['sleep', '30'], [], $pipes);
$start = microtime(true);
proc_terminate($process);
for ($status = proc_get_status($process); $status['running'] && microtime(true) - $start < 5; $status = proc_get_status($process)) {
    usleep(5_000);
}
$seen['terminated'] = $status['signaled'] ? $status['termsig'] : 'still running';
if ($status['running']) {
    proc_terminate($process, 9);
}
proc_close($process);
header('Content-Type: application/json');
echo json_encode($seen);
