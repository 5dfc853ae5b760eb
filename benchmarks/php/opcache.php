<?php
// Says whether OPcache works: without it the comparison would be about something else.
$status = opcache_get_status(false);
echo $status && $status['opcache_enabled'] ? 'on' : 'off';
