<?php
// Ways to end badly.
register_shutdown_function(function () { file_put_contents($_GET['trace'] ?? '/dev/null', 'shutdown;', FILE_APPEND); });
class Destructed
{
    public function __destruct() { file_put_contents($_GET['trace'] ?? '/dev/null', 'destructor;', FILE_APPEND); }
}
$object = new Destructed();
if (!isset($_GET['quiet'])) {
    echo 'begin';
}
match ($_GET['how']) {
    'undefined' => not_a_function(),
    'memory' => ini_set('memory_limit', '8M') && str_repeat('x', 64 * 1024 * 1024),
    'exit' => exit(' exit text'),
    'exit_code' => exit(7),
    'exception' => throw new RuntimeException('thrown on purpose'),
    'trigger' => trigger_error('on purpose', E_USER_ERROR),
    'type' => strlen(),
    'require' => require 'no/such/file.php',
    'stack' => set_error_handler(fn () => throw new Error('from handler')) || $undefined,
};
echo ' not reached';
