<?php
require_once __DIR__ . '/act.php';
act();
