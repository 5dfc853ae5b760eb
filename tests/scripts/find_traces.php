<?php
// What is left of other requests; everything here must look untouched.
$seen = [
    'session' => isset($_SESSION) ? $_SESSION : null,
    'session_id' => session_id(),
    'env' => $_ENV['HOWDAH_TEST_TRACE'] ?? null,
    'server' => $_SERVER['HOWDAH_TEST_TRACE'] ?? null,
    'getenv' => getenv('HOWDAH_TEST_TRACE'),
    'precision' => ini_get('precision'),
    'memory_limit' => ini_get('memory_limit'),
    'locale' => setlocale(LC_ALL, '0'),
    'umask' => umask(),
    'cwd' => getcwd(),
    'timezone' => date_default_timezone_get(),
    'mb' => mb_internal_encoding(),
    'error_handler' => set_error_handler(null),
    'exception_handler' => set_exception_handler(null),
    'libxml' => libxml_use_internal_errors(),
    'error_reporting' => error_reporting(),
    'ignore_user_abort' => ignore_user_abort(),
    'connection_status' => connection_status(),
    'class' => class_exists('Trace', false),
    'constant' => defined('HOWDAH_TEST_TRACE'),
    'function' => function_exists('howdah_test_trace'),
    'wrapper' => in_array('http', stream_get_wrappers(), true),
    'autoload' => count(spl_autoload_functions()),
    'headers' => array_values(preg_grep('/^X-Trace/i', headers_list())),
    'status' => http_response_code(),
    'ob' => ob_get_level(),
    'included' => count(get_included_files()),
    'time_limit' => ini_get('max_execution_time'),
];
header('Content-Type: application/json');
echo json_encode($seen);
