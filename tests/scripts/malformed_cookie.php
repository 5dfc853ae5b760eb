<?php
header('Content-Type: application/json');
echo json_encode(['cookie' => $_COOKIE, 'header' => $_SERVER['HTTP_COOKIE'] ?? null]);
