<?php
error_log('error_log says ' . $_GET['i']);
syslog(LOG_DEBUG, 'not for our log');
$i = $_GET['i'];
frankenphp_log("debug $i", FRANKENPHP_LOG_LEVEL_DEBUG, ['number' => (int) $i]);
frankenphp_log("info $i", FRANKENPHP_LOG_LEVEL_INFO, ['key' => 'value', 'list' => [1, 'two', null]]);
frankenphp_log("warn $i", FRANKENPHP_LOG_LEVEL_WARN, ['nested' => ['a' => ['b' => true]]]);
frankenphp_log("error $i", FRANKENPHP_LOG_LEVEL_ERROR, ['float' => 1.5]);
frankenphp_log("plain $i");
echo 'logged';
