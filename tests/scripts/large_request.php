<?php
echo strlen(file_get_contents('php://input')), ' ', md5(file_get_contents('php://input'));
