<?php
// What a script made while it booted is there in each of its requests.
require dirname(__DIR__) . '/lib/counted.php';
spl_autoload_register(static function (string $class): void {
    eval("class $class { public static int \$uses = 0; }");
});
define('MADE_AT_BOOT', 'constant');
$object = new Counted();
$generator = (static function (): Generator {
    for ($number = 1; true; $number++) {
        yield $number;
    }
})();
$fiber = new Fiber(static function (): void {
    for ($number = 1; true; $number++) {
        Fiber::suspend($number);
    }
});
$handler = static function () use ($object, $generator, $fiber): void {
    static $calls = 0;
    $generator->next();
    header('Content-Type: application/json');
    echo json_encode([
        'object' => spl_object_id($object),
        'calls' => ++$calls,
        'number' => ++Counted::$number,
        'autoloaded' => ++Later::$uses,
        'autoloaders' => count(spl_autoload_functions()),
        'constant' => MADE_AT_BOOT,
        'generator' => $generator->current(),
        'fiber' => $fiber->isStarted() ? $fiber->resume() : $fiber->start(),
        'i' => $_GET['i'],
    ]);
};
while (frankenphp_handle_request($handler));
