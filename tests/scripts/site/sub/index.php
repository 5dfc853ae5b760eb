<?php
echo 'index of sub ', $_SERVER['REQUEST_URI'], ' ', $_SERVER['SCRIPT_NAME'];
