<?php
// Recursion through functions of C, where PHP does not count.
ini_set('memory_limit', '-1');
$recursion = static function () use (&$recursion): void { array_map($recursion, [1]); };
$recursion();
