<?php
// All of $_SERVER as JSON, in its order; bytes that are no UTF-8 are kept as Latin-1.
header('Content-Type: application/json');
$plain = array_map(
    fn ($value) => is_string($value) && !preg_match('//u', $value) ? mb_convert_encoding($value, 'UTF-8', 'ISO-8859-1') : $value,
    $_SERVER
);
echo json_encode($plain, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);
