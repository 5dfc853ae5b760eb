<?php
echo 'app ', $_SERVER['PATH_INFO'] ?? 'none';
