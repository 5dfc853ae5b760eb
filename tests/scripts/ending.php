<?php
// Ends in the way that is asked for; something is left for the end in any case.
if (!class_exists('AtTheEnd', false)) {
    class AtTheEnd
    {
        public function __construct(private Closure $what) {}
        public function __destruct() { ($this->what)(); }
    }
}
if (isset($_GET['handler'])) {
    set_exception_handler(static function (Throwable $error): void {
        echo 'handled: ', $error->getMessage(), ';';
        if ($_GET['handler'] === 'throws') {
            throw new LogicException('from the exception handler');
        }
    });
}
if (isset($_GET['shutdown'])) {
    register_shutdown_function(static function (): void {
        echo 'shutdown ', $_GET['i'] ?? '', ';';
        if (isset($_GET['trace'])) {
            file_put_contents($_GET['trace'], 'shutdown;', FILE_APPEND);
        }
    });
    register_shutdown_function(static function (): void {
        echo 'second;';
        register_shutdown_function(static fn () => print 'late;');
    });
}
$local = isset($_GET['destructor']) ? new AtTheEnd(static fn () => print 'destructor;') : null;
if (!isset($_GET['quiet'])) {
    echo 'begin ', $_GET['i'] ?? '', ';';
}
$recursion = static function () use (&$recursion): void { $recursion(); };
switch ($_GET['how'] ?? 'normal') {
    case 'exit':
        exit;
    case 'exit text':
        exit('exit text;');
    case 'exit 3':
        exit(3);
    case 'exit in a function':
        array_map(static fn () => exit(0), [1]);
    case 'exception':
        throw new Exception('request ' . ($_GET['i'] ?? 'x'));
    case 'undefined':
        not_a_function();
    case 'parse':
        eval('function (');
    case 'fatal':
        trigger_error('fatal on purpose', E_USER_ERROR);
    case 'require':
        require 'no/such/file.php';
    case 'memory':
        ini_set('memory_limit', '16M');
        str_repeat('x', 64 << 20);
    case 'memory in pieces':
        ini_set('memory_limit', '16M');
        for ($list = []; true; $list[] = str_repeat('x', 1000));
    case 'recursion':
        ini_set('memory_limit', '16M');
        $recursion();
    case 'timeout':
        set_time_limit(1);
        for (;;);
    case 'exception in a destructor':
        $thrower = new AtTheEnd(static fn () => throw new Exception('in a destructor'));
        unset($thrower);
        break;
    case 'exception at the end':
        $local = new AtTheEnd(static fn () => throw new Exception('in a destructor'));
        break;
    case 'exception in shutdown':
        register_shutdown_function(static fn () => throw new Exception('in a shutdown function'));
        break;
    case 'exit in shutdown':
        register_shutdown_function(static fn () => exit('exit in shutdown;'));
        break;
    case 'exception in a buffer':
        ob_start(static fn () => throw new Exception('in a buffer'));
        echo 'buffered';
        break;
    case 'error handler':
        set_error_handler(static fn () => throw new ErrorException('from the error handler'));
        $undefined++;
        break;
    case 'fiber':
        (new Fiber(static fn () => throw new Exception('in a fiber')))->start();
        break;
    case 'exit in a fiber':
        (new Fiber(static fn () => exit('exit in a fiber;')))->start();
        break;
    case 'generator':
        foreach ((static function () { yield 1; throw new Exception('in a generator'); })() as $value);
        break;
}
echo 'normal end;';
