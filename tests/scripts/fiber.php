<?php
// Output, headers and input from inside a fiber.
$fiber = new Fiber(function (string $i): string {
    header('X-Fiber: ' . $i);
    echo 'in ';
    $resumed = Fiber::suspend('suspended');
    echo $resumed, ' ', strlen(file_get_contents('php://input')), ' ';
    flush();
    return 'end ' . $i;
});
$value = $fiber->start($_GET['i']);
echo $value, ' ';
$fiber->resume('resumed');
echo $fiber->getReturn();
