<?php
// Variables that are easily lost on their way into a program: empty ones, and names that no shell can hold.
putenv('HOWDAH_TEST_EMPTY=');
putenv('howdah.test=dotted');
putenv('HOWDAH_TEST_GONE=x');
putenv('HOWDAH_TEST_GONE');
$process = proc_open(['env'], [1 => ['pipe', 'w']], $pipes);
$lines = explode("\n", stream_get_contents($pipes[1]));
proc_close($process);
$seen = ['proc_open' => array_values(preg_grep('/^(howdah.test|HOWDAH_TEST_)/', $lines))];
sort($seen['proc_open']);
exec('env', $all);
$seen['exec'] = array_values(preg_grep('/^HOWDAH_TEST_/', $all));
try {
    proc_open('', [], $pipes, null, null, ['no' => 'such']);
    $seen['then'] = 'alive';
} catch (ValueError $error) {
    $seen['then'] = 'alive';
}
header('Content-Type: application/json');
echo json_encode($seen);
