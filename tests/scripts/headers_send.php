<?php
// headers_send() with a final status sends the head at once.
header('X-Early: yes');
$result = headers_send(202);
$sent = headers_sent();
@header('X-Late: yes');
echo json_encode(['result' => $result, 'sent' => $sent, 'again' => headers_send(203)]);
