<?php
// A session with or without a save handler of one's own, left in different ways.
require_once __DIR__ . '/lib/folder_sessions.php';
ignore_user_abort(isset($_GET['ignore']));
$before = [isset($_SESSION), session_id(), session_status()];
if (isset($_GET['handler'])) {
    session_set_save_handler(new FolderSessions($_GET['handler']), true);
}
if (isset($_GET['id'])) {
    session_id($_GET['id']);
}
FolderSessions::$calls = [];
session_start();
$_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
if (isset($_GET['secret'])) {
    $_SESSION['secret'] = $_GET['secret'];
}
if (isset($_GET['close'])) {
    session_write_close();
}
header('Content-Type: application/json');
echo json_encode(['before' => $before, 'session' => $_SESSION, 'calls' => FolderSessions::$calls, 'handler' => ini_get('session.save_handler')]);
switch ($_GET['how'] ?? '') {
    case 'exit':
        exit(0);
    case 'exit 1':
        exit(1);
    case 'exception':
        throw new Exception('with an open session');
    case 'fatal':
        trigger_error('with an open session', E_USER_ERROR);
    case 'timeout':
        set_time_limit(1);
        for (;;);
    case 'hold':
        file_put_contents($_GET['trace'], 'begun');
        for ($tries = 0; !file_exists($_GET['gate']) && $tries < 3000; $tries++) {
            usleep(10_000);
            clearstatcache();
        }
        break;
    case 'abort':
        file_put_contents($_GET['trace'], 'begun');
        for ($tries = 0; $tries < 500; $tries++) {
            echo 'tick ';
            flush();
            usleep(10_000);
        }
}
