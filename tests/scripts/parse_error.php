<?php
echo 'never';
function (
