<?php
// One interim response before the final one.
header('Link: </style.css>; rel=preload; as=style');
$interim = headers_send(103);
header_remove('Link');
header('X-Request: ' . ($_GET['i'] ?? 'x'));
echo 'final ', $interim;
