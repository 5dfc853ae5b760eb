<?php
// Recursion through functions of PHP's own, which takes C stack: `levels` deep, or without end.
$levels = (int) ($_GET['levels'] ?? PHP_INT_MAX);
function down(int $levels): int
{
    return $levels > 0 ? 1 + array_map('down', [$levels - 1])[0] : 0;
}
echo down($levels);
