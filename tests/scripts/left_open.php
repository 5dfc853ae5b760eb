<?php
// Leaves a transaction, a lock and a file open, in variables that end with the request or that do not.
$folder = $_GET['folder'];
$database = new PDO("sqlite:$folder/data.sqlite", options: [PDO::ATTR_TIMEOUT => 1, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$database->exec('CREATE TABLE IF NOT EXISTS t (n INTEGER)');
$database->beginTransaction();
$database->exec('INSERT INTO t VALUES (1)');
$rows = (int) $database->query('SELECT count(*) FROM t')->fetchColumn();
$lock = fopen("$folder/lock", 'c');
$locked = flock($lock, LOCK_EX | LOCK_NB);
if (isset($_GET['keep'])) {
    $GLOBALS['kept'] = [$database, $lock];
}
header('Content-Type: application/json');
echo json_encode(['rows' => $rows, 'locked' => $locked]);
switch ($_GET['how'] ?? '') {
    case 'exit':
        exit(0);
    case 'exception':
        throw new Exception('with an open transaction');
    case 'fatal':
        trigger_error('with an open transaction', E_USER_ERROR);
}
