<?php
// Streams that were opened before the loop stay open.
$words = fopen(__DIR__ . '/words.txt', 'r');
$input = fopen('php://input', 'r');
$memory = fopen('php://memory', 'w+');
$handler = static function () use ($words, $input, $memory): void {
    fwrite($memory, 'x');
    $own = fopen('php://temp', 'w+');
    fwrite($own, str_repeat('y', 10));
    echo trim(fgets($words)), ' ', stream_is_local($input) ? 'local' : 'remote', ' ', fstat($memory)['size'], ' ', file_get_contents('php://input');
};
while (frankenphp_handle_request($handler));
