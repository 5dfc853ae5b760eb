<?php
header('Content-Type: application/json');
echo json_encode([
    'functions' => get_extension_funcs('frankenphp'),
    'sapi' => PHP_SAPI,
    'zts' => PHP_ZTS,
    'howdah' => array_values(array_filter(get_defined_functions()['internal'], fn ($name) => str_contains($name, 'howdah'))),
]);
