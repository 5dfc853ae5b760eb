<?php
echo 'before ';
throw new Exception('request ' . ($_GET['i'] ?? 'x'));
