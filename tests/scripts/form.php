<?php
// The superglobals of a form.
header('Content-Type: application/json');
echo json_encode(['get' => $_GET, 'post' => $_POST, 'request' => $_REQUEST, 'cookie' => $_COOKIE]);
