<?php
opcache_reset();
echo 'asked';
