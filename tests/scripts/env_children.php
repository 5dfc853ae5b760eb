<?php
// What programs started by PHP see, by every way to start one.
putenv('HOWDAH_TEST_CHILD=it\'s "quoted" $HOME ' . $_GET['i']);
putenv('HOWDAH_TEST_EMPTY=');
$command = 'printf %s "$HOWDAH_TEST_CHILD"';
$seen = [];
exec($command, $lines);
$seen['exec'] = implode("\n", $lines);
$seen['shell_exec'] = shell_exec($command);
$seen['backtick'] = `printf %s "\$HOWDAH_TEST_CHILD"`;
ob_start();
system($command);
$seen['system'] = ob_get_clean();
ob_start();
passthru($command);
$seen['passthru'] = ob_get_clean();
$pipe = popen($command, 'r');
$seen['popen'] = stream_get_contents($pipe);
pclose($pipe);
foreach (['string' => $command, 'array' => ['sh', '-c', $command]] as $kind => $form) {
    $process = proc_open($form, [1 => ['pipe', 'w']], $pipes);
    $seen["proc_open $kind"] = stream_get_contents($pipes[1]);
    proc_close($process);
}
$process = proc_open(['env'], [1 => ['pipe', 'w']], $pipes, null, ['ONLY' => 'this']);
$seen['own environment'] = trim(stream_get_contents($pipes[1]));
proc_close($process);
$seen['process'] = str_contains(file_get_contents('/proc/self/environ'), 'HOWDAH_TEST_CHILD');
header('Content-Type: application/json');
echo json_encode($seen);
