<?php
require_once __DIR__ . '/act.php';
while (frankenphp_handle_request(static fn() => act()));
