<?php
// Arguments: folder, address, title, password of the administrator.
[ $folder, $url, $title, $secret ] = $arguments;

define( 'WP_INSTALLING', true );
define( 'WP_SITEURL', $url );
$_SERVER['HTTP_HOST']       = parse_url( $url, PHP_URL_HOST ) . ':' . parse_url( $url, PHP_URL_PORT );
$_SERVER['REQUEST_URI']     = '/';
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
require "$folder/wp-load.php";
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

add_filter( 'pre_wp_mail', '__return_true' );
wp_install( $title, 'admin', 'admin@example.test', true, '', $secret );
update_option( 'home', $url );
update_option( 'siteurl', $url );
switch_theme( 'twentytwentythree' );
echo "done\n";
