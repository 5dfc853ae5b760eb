<?php
// Everything of a request that there is not yet, and that must do no harm before the first one.
$GLOBALS['at boot'] = [
    'headers' => [getallheaders(), apache_request_headers()],
    'finish' => frankenphp_finish_request() || true,
    'response' => apache_response_headers() !== null,
    'get' => [$_GET, $_POST, $_COOKIE, $_FILES, $_REQUEST],
    'input' => file_get_contents('php://input'),
    'server' => $_SERVER,
    'env' => $_ENV,
    'getenv' => getenv(),
    'session' => [isset($_SESSION), session_id(), session_status()],
    'abort' => [ignore_user_abort(), connection_status()],
    'send' => headers_send(103),
];
header('X-Left-At-Boot: yes');
setcookie('left', 'at boot');
http_response_code(418);
