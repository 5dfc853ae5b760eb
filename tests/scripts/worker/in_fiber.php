<?php
// Runs its loop inside a fiber.
$fiber = new Fiber(static function (): void {
    while (frankenphp_handle_request(static function (): void {
        $inner = new Fiber(static fn () => print Fiber::suspend('suspended ') . ' ');
        echo $inner->start();
        $inner->resume('resumed');
        echo $_GET['i'];
    }));
});
$fiber->start();
