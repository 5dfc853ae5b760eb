<?php
// What is left of other visitors' sessions before and after a session of one's own.
header('Content-Type: application/json');
$before = ['set' => isset($_SESSION), 'id' => session_id(), 'status' => session_status()];
session_start();
echo json_encode(['before' => $before, 'session' => $_SESSION, 'id' => session_id()]);
