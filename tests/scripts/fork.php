<?php
// A child of fork does its work and ends by itself, without touching the server.
$pid = pcntl_fork();
if ($pid === 0) {
    register_shutdown_function(fn () => file_put_contents($_GET['trace'] . '.end', 'child ended'));
    echo 'the child must not answer';
    flush();
    header('X-Child: yes');
    file_put_contents($_GET['trace'], 'child worked');
    exit(3);
}
$status = 0;
pcntl_waitpid($pid, $status);
echo json_encode(['child' => pcntl_wexitstatus($status), 'exited' => pcntl_wifexited($status)]);
