<?php
// Changes the kinds of state that are asked for, then tells the state of every kind.
$changes = [
    'env' => fn () => $_ENV['HOWDAH_TEST_STATE'] = 'changed',
    'env of the system' => function () { unset($_ENV['CUSTOM_OS_ENV_VARIABLE']); },
    'putenv' => fn () => putenv('HOWDAH_TEST_STATE=changed'),
    'putenv of the system' => fn () => putenv('CUSTOM_OS_ENV_VARIABLE=changed'),
    'putenv unset' => fn () => putenv('CUSTOM_OS_ENV_VARIABLE'),
    'precision' => fn () => ini_set('precision', '5'),
    'memory_limit' => fn () => ini_set('memory_limit', '333M'),
    'session.name' => fn () => ini_set('session.name', 'CHANGED'),
    'session.gc_maxlifetime' => fn () => ini_set('session.gc_maxlifetime', '77'),
    'session.name while open' => function () { ini_set('session.name', 'CHANGED'); session_start(); },
    'include_path' => fn () => set_include_path('/changed'),
    'error_reporting' => fn () => error_reporting(E_ERROR),
    'display_errors' => fn () => ini_set('display_errors', '0'),
    'time limit' => fn () => set_time_limit(123),
    'timezone' => fn () => date_default_timezone_set('Asia/Tokyo'),
    'date.timezone' => fn () => ini_set('date.timezone', 'Asia/Tokyo'),
    'locale' => fn () => setlocale(LC_ALL, 'C.UTF-8'),
    'locale of numbers' => fn () => setlocale(LC_NUMERIC, 'C.UTF-8'),
    'umask' => fn () => umask(0077),
    'folder' => fn () => chdir('/'),
    'error handler' => fn () => set_error_handler(fn () => true),
    'error handlers' => function () { set_error_handler(fn () => true); set_error_handler(null); set_error_handler(fn () => false, E_NOTICE); },
    'no error handler' => fn () => restore_error_handler(),
    'exception handler' => fn () => set_exception_handler(fn () => print 'changed'),
    'no exception handler' => fn () => restore_exception_handler(),
    'ignore_user_abort' => fn () => ignore_user_abort(!ignore_user_abort()),
    'status' => fn () => http_response_code(299),
    'header' => fn () => header('X-Changed: yes'),
    'cookie' => fn () => setcookie('changed', 'yes'),
    'header callback' => fn () => header_register_callback(fn () => header('X-Changed: by callback')),
    'output buffer' => fn () => ob_start(fn (string $text) => $text),
    'session' => function () { session_id('changedsession'); session_start(); $_SESSION['changed'] = true; },
    'superglobals' => function () {
        $_GET['changed'] = $_POST['changed'] = $_COOKIE['changed'] = $_FILES['changed'] = $_REQUEST['changed'] = $_SERVER['CHANGED'] = 1;
    },
];
foreach (array_filter(explode(',', $_GET['change'] ?? '')) as $kind) {
    $changes[$kind]();
}
$handler = set_error_handler(null);
restore_error_handler();
$on_exception = set_exception_handler(null);
restore_exception_handler();
$describe = fn ($callable) => $callable === null ? null : (is_string($callable) ? $callable : 'a closure');
$ini = ['precision', 'memory_limit', 'session.name', 'session.gc_maxlifetime', 'include_path', 'error_reporting',
    'display_errors', 'max_execution_time', 'date.timezone', 'session.save_handler'];
$state = array_combine($ini, array_map('ini_get', $ini));
$state += [
    'env' => $_ENV['HOWDAH_TEST_STATE'] ?? null,
    'env of the system' => $_ENV['CUSTOM_OS_ENV_VARIABLE'] ?? null,
    'putenv' => getenv('HOWDAH_TEST_STATE'),
    'putenv of the system' => getenv('CUSTOM_OS_ENV_VARIABLE'),
    'all of getenv' => array_intersect_key(getenv(), ['HOWDAH_TEST_STATE' => 1, 'CUSTOM_OS_ENV_VARIABLE' => 1]),
    'timezone' => date_default_timezone_get(),
    'locale' => setlocale(LC_ALL, '0'),
    'umask' => umask(),
    'umask of a file' => (function () {
        $name = sys_get_temp_dir() . '/howdah-test-' . bin2hex(random_bytes(8));
        touch($name);
        $mode = fileperms($name) & 0777;
        unlink($name);
        return $mode;
    })(),
    'folder' => getcwd(),
    'error handler' => $describe($handler),
    'exception handler' => $describe($on_exception),
    'ignore_user_abort' => ignore_user_abort(),
    'connection_status' => connection_status(),
    'status' => http_response_code(),
    'headers' => array_values(preg_grep('/^(X-Changed|Set-Cookie|X-Left)/i', headers_list())),
    'buffers' => ob_get_level(),
    'session' => [$_SESSION ?? null, session_id(), session_status()],
    'superglobals' => [isset($_GET['changed']), $_POST, $_COOKIE, $_FILES, isset($_REQUEST['changed']), isset($_SERVER['CHANGED'])],
];
header('Content-Type: application/json');
echo json_encode($state);
