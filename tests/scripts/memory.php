<?php
// Uses a bit of everything, and tells how much memory PHP holds.
$temporary = fopen('php://temp', 'w+');
fwrite($temporary, str_repeat('x', 5000));
file_get_contents('php://input');
getallheaders();
header('X-Some: header', false);
setcookie('some', 'cookie');
register_shutdown_function(static fn () => null);
putenv('HOWDAH_TEST_MEMORY=' . ($_GET['i'] ?? 'x'));
ini_set('precision', '9');
ob_start();
echo $_REQUEST['i'] ?? 'none';
ob_end_clean();
if (isset($_GET['leak'])) {
    $GLOBALS['leaked'][] = str_repeat('l', (int) $_GET['leak']);
}
echo memory_get_usage();
