<?php
header('Content-Type: application/json');
echo json_encode(['argv' => $_SERVER['argv'] ?? null, 'argc' => $_SERVER['argc'] ?? null, 'global' => $argv ?? null]);
